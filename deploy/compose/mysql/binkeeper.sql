-- The image has made the user of MYSQL_USER, with no rights. These are all that Binkeeper needs.
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'binkeeper'@'%';
