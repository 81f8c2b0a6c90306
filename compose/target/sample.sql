-- Run once, by psql as superuser, when the data folder is made: a server as a team might have it, and the role as
-- which Rolecall logs in. What that role needs, and why, is in docs/OPERATIONS.md.

SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';

\set role_create_password `cat /run/secrets/default_login_password`

CREATE ROLE role_create LOGIN CREATEROLE CREATEDB PASSWORD :'role_create_password';
CREATE ROLE app_owner NOLOGIN;
-- For read-only roles: only the owner, or a member, can give rights on the tables that the owner makes later.
GRANT app_owner TO role_create;

CREATE DATABASE myapp_dev OWNER app_owner;

\connect myapp_dev
SET ROLE app_owner;

CREATE TABLE public.orders (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer  text        NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO public.orders (customer) VALUES ('ada'), ('grace'), ('edsger');
