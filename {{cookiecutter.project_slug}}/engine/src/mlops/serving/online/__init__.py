"""Online stores: the newest values of feature views, looked up while a request is answered."""
