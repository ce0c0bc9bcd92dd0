"""What all endpoints share: requests, answers, cookies, CORS, and which pages may ask."""
