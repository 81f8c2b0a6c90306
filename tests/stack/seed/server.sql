CREATE ROLE role_create LOGIN CREATEROLE CREATEDB;

CREATE ROLE app_owner NOLOGIN;

GRANT app_owner TO role_create;

CREATE DATABASE myapp_dev OWNER app_owner;

CREATE DATABASE myapp_qa OWNER app_owner;
