"""One run: problems in, journeys grown by a cast, a folder with store, summary and exports out."""
