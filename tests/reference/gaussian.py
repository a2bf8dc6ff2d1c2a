"""A plain twin of the places of numbers among thresholds."""


def place_numbers(numbers, thresholds):
    """How many thresholds are below each number."""
    return [sum(threshold < number for threshold in thresholds) for number in numbers]
