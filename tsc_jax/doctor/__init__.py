"""Describes a data set and finds everything that is wrong with it before training.

`reading` opens what can be opened; `labels`, `segments` and `features` hold the checks; `examine` runs them;
`findings` gives the severity and advice of each check; `report` writes the result as text and JSON.
"""
