"""Look at journeys, trees and thoughts in a browser, and judge them. Local, offline, read-only but for judgements."""
