"""What do Figure 3's numbers hang on?"""
