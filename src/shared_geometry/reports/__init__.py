"""Words and tables of the chapters: results in, Markdown out."""
