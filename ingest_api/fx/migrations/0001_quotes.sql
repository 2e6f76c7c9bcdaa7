-- Offers to convert: what exactly is sold and bought, at which rate, until when. A row is written when it is given out;
-- used_by (a hash of caller and Idempotency-Key) is set once, by the first transfer that names the quote.
CREATE TABLE fx_quotes (
    quote_id uuid PRIMARY KEY,
    asked_by text NOT NULL,
    sell_currency char(3) NOT NULL,
    sell_minor bigint NOT NULL CHECK (sell_minor > 0),
    buy_currency char(3) NOT NULL,
    buy_minor bigint NOT NULL CHECK (buy_minor > 0),
    fixed_side text NOT NULL,
    rate_numerator bigint NOT NULL CHECK (rate_numerator > 0),
    rate_denominator bigint NOT NULL CHECK (rate_denominator > 0),
    spread_basis_points integer NOT NULL,
    rounding text NOT NULL,
    quoted_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_by bytea
);
