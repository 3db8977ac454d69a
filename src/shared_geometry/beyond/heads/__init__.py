"""Does a network's head work on another network's activity?"""
