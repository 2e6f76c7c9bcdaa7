"""A bank's reports against its notifications, on nine months of real days."""
