"""The semantics bank: dataset-level prototypes that every snippet can attend to.

It is fitted once, before training, on the training split alone (`fit`), passed into the network as an argument, and
moved by the train step (`update`).
"""
