"""What each generated page, picture and notebook of the documentation is made from."""
