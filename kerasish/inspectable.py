"""What can be asked of a model besides training it: a method for each tool of `insight`."""


class Inspectable:
    """A model that can be looked into; no question leaves a trace in it."""
