"""What each kind of operation does to the model's state, written from the documents."""
