"""Is it real, or would chance show it as well?"""
