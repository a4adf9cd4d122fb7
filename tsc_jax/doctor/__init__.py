"""Describes a data set and finds everything that is wrong with it before training.

`examine` reads it and runs every check; `reading`, `labels` and `features` hold those that launch.prepare does not do;
`findings` gives the severity and advice of each check; `report` writes the result as text and JSON.
"""
