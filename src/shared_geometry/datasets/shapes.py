"""The shape of an image of each data set, known without its files."""

IMAGE_SHAPES = {  # channels, height, width
    "digits": (1, 16, 16),
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
}
