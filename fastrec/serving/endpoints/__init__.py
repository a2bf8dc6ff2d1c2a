"""The endpoints: a function of the server and the request for each route."""
