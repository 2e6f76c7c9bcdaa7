"""Settlement files made of known payments, as providers and banks would write them: to try the matching with."""
