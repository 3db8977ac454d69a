"""Do networks of different architectures share one space?"""
