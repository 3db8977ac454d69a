"""Which blocks of a ResNet18 work?"""
