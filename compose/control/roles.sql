-- Run once, by psql as superuser, when the data folder is made. The passwords are read from the secrets and appear in
-- no argument list; a statement with a password in it is kept out of the log whatever its settings say.

SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';

\set owner_password `cat /run/secrets/control_owner_password`
\set writer_password `cat /run/secrets/control_writer_password`

-- Owns the tables; used by `rolecall migrate` alone.
CREATE ROLE rolecall_owner LOGIN PASSWORD :'owner_password';

-- Runs the service; `rolecall migrate` gives it its rights, table by table.
CREATE ROLE rolecall_writer LOGIN PASSWORD :'writer_password';

CREATE DATABASE rolecall OWNER rolecall_owner;
REVOKE ALL ON DATABASE rolecall FROM PUBLIC;
GRANT CONNECT ON DATABASE rolecall TO rolecall_writer;
