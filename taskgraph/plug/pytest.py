"""Fixtures that are kept between test sessions."""
