"""What would other measures of similarity have said?"""
