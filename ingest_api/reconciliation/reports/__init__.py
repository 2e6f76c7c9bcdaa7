"""What a controller signs, as CSV, XLSX and PDF."""
