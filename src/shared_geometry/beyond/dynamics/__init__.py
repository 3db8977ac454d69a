"""Do networks forget how they began?"""
