-- SPDX-License-Identifier: Apache-2.0
-- Where the browser goes when a login at the OpenID provider has ended: a path of this server.
ALTER TABLE oidc_logins ADD COLUMN back TEXT NOT NULL DEFAULT '/';
