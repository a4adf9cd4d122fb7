"""What a data set holds and everything that is wrong with it, before hours are spent on it.

`reading` opens whatever can be opened, `labels`, `segments` and `features` are the checks, `examine`
runs them, `findings` says what each means and what to do about it, `report` writes it down.
"""
