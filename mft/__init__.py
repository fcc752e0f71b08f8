"""The application: composes the four libraries below it and makes every decision."""
