"""Reports as static pages: made on the reader's machine, from records, with nothing loaded from elsewhere."""
