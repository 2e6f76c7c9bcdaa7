-- Lists of hits are of one status, in the order of their numbers.
CREATE INDEX screening_hits_of_status ON screening_hits (status, hit);
