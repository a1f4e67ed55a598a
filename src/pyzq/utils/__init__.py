"""Small tools around the API: Z85, JSON, monitor messages."""
