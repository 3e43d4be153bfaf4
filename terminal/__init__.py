"""What commands show: live views on stderr, results on stdout."""
