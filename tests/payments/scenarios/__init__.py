"""Stories of money as an accountant would write them down: what was asked, what was decided, who has what then."""
