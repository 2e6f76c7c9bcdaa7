"""What a secured local environment needs: an authority with a broker certificate, and one password per principal."""
