"""From chapters to the book: parameters, figures on a page, execution, HTML."""
