CREATE TABLE public.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE public.orders OWNER TO app_owner;

INSERT INTO public.orders (customer) VALUES ('ada'), ('grace'), ('edsger');
