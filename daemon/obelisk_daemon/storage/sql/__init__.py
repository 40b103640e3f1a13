"""The store in SQL: logical transactions and reads over the connection of a driver, the same for every database."""
