"""Identity providers: an honest one, every dishonest one, and what is believed of either."""
