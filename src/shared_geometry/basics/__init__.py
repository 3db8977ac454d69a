"""What every other room stands on: arrays, files, devices, random draws, words."""
