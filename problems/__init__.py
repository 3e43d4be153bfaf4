"""Where problems come from, and who checks answers and steps. Imports journeys and settings, nothing above."""
