def bank_section(rows, attention, classes):
    return (rows, attention)
