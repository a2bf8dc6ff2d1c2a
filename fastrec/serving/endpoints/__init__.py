"""What answers requests: a function of the server and the request for each route."""
