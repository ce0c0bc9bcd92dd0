"""The world around Keyturn, as tests have it: what several folders of tests use."""
