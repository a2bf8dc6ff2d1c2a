"""A plain twin of the places of numbers among thresholds."""


def place_numbers(numbers, thresholds):
    """Counts the thresholds below each number."""
    return [sum(threshold < number for threshold in thresholds) for number in numbers]
