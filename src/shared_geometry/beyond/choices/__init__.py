"""What do Figure 3's numbers depend on?"""
