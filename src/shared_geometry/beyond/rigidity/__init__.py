"""How rigid is the relation between two networks?"""
