"""Who there is: the register of users, which the routes of people and every kind of login build on."""
