"""Networks of your own: from their activity to the measures of the paper."""
